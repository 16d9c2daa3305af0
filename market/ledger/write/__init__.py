"""The operator's side: appending blocks, admitting members, answering requests. Verifiers never import it."""
