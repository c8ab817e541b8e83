"""What a policy that was not served would have earned, from a log whose choices were left to chance."""
