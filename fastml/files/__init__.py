"""What goes out: models in files, their descriptions, and what training writes."""
