"""Records made readable: show a block, list an account, export tables."""
