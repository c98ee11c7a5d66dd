"""fastml beside other libraries: ``python -m bench.peers``; see README.md here."""
