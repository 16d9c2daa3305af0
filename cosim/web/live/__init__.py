"""The run behind the pages: intervals close one by one, people submit before the gate closes."""
