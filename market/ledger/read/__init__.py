"""Records for people: a block shown, an account listed, tables exported."""
