"""What people did, and what they were shown: kept, checked, read from and written to files."""
