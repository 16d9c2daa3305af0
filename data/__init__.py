"""Where every input comes from: profiles, houses, the user's files. No physics, no money."""
