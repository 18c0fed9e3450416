"""`lifecycle demo`: eighteen months of real purchases, one day of them live."""
