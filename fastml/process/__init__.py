"""What the operating system does to a process: signals, forks, files written whole, several processes at once."""
