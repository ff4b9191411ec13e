"""The embedded domains: images drawn from parameters, so that the truth about every picture is known."""
