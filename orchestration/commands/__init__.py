"""Commands of `cx` by group: arguments and tables. What they do is in `orchestration.lib`."""
