"""What training rows are made of, and the rows: nothing in them knows its label."""
