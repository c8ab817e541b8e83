"""A newsroom and its readers with known truth, in parts: scenario, world, policy, behaviour, columns."""
