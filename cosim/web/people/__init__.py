"""Who takes part: join requests, sign-in by wallet or passkey, sessions, access between members."""
