"""The books: accounts, batteries and lots as they follow from the records; energy and money must balance."""
