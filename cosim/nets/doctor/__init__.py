"""The doctor of networks: what is wrong with a net, at which element, why it matters, and what to do.

Law: nothing is changed or guessed; a net is read, looked at by the rows of `checks.CHECKS`, and told about.
"""
