"""What Blue Room Records says to whom, and when."""
