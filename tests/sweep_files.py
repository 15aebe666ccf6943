"""Texts of sweep files: right ones, and wrong ones with the sentence that each deserves."""

from __future__ import annotations

BARE = """
vary = "snr_db"
values = [10, 20.5]
schemes = ["proposed"]
"""


FULL = """
name = "what-if"
title = "What if bandwidth were scarce?"
vary = "users"
values = [3, 6]
providers = 2
overload = "raise"
seeds = 7
root_seed = 3
drawn = [4, 8]

[[schemes]]
scheme = "ratio"
label = "ratio-2"
options = { total = 2 }

[[schemes]]
scheme = "welfare"

[ranges]
bandwidth_capacity = [50, 100]
examples = [4]
example_ambiguity = 0.1
"""


# A line put before BARE → what is wrong with it.
CHANGES = {
    "valuse = [1]": "'valuse' is not a key of a sweep; did you mean values?",
    "drop = 1": "'drop' is not a key of a sweep",
    "seeds = 0": "seeds is 0; it must be 1 or more",
    "seeds = 2.0": "seeds is 2.0; it must be a whole number",
    "seeds = true": "seeds is True; it must be a whole number",
    'providers = "2"': "providers is '2'; it must be a whole number",
    "root_seed = -1": "root_seed is -1; it must be zero or more",
    "title = 3": "title is 3; it must be a string of valid text",
    'name = " "': "name is ' '; it must be a string that is not empty",
    'name = "a/b"': "name is 'a/b'; it must be letters, digits, '-', '_' and '.', and begin with "
    "a letter or a digit, for it names files",
    'overload = "drop"': "overload is 'drop'; it must be 'admit', 'raise' or 'refuse'",
    "drawn = [2]": "drawn[1] is missing",
    "drawn = [2, 3, 4]": "drawn holds 3; it must hold 2",
    "drawn = 5": "drawn is 5; it must be a list",
    "drawn = [3, 4]": "users is 15; it must be at most 4",
    "ranges = 3": "ranges is 3; it must be a table",
    "ranges.snr = [1, 2]": "'snr' is not a key of ranges; did you mean snr_db?",
    "ranges.snr_db = [1, 300]": "ranges.snr_db[1] is 300; it must be at most 200",
    "ranges.snr_db = [nan, 3]": "ranges.snr_db[0] is nan; it must be a finite number",
    'ranges.tokens = ["1", 3]': "ranges.tokens[0] is '1'; it must be a whole number",
    "ranges.tokens = [5, 3]": "ranges.tokens goes from 5 to 3; it must go upwards",
    "ranges.tokens = [5.5, 8]": "ranges.tokens[0] is 5.5; it must be a whole number",
    "ranges.examples = []": "ranges.examples is empty; it must hold at least one",
    "ranges.profit_factor = 0": "ranges.profit_factor is 0; it must be greater than zero",
    "ranges.example_ambiguity = 0.5": "ranges.example_ambiguity is 0.5; it must be less than 0.5",
    'scenario = "none.toml"': "{folder}/none.toml: there is no such file",
}


# A key of BARE, and the line that takes its place → what is wrong with it.
REPLACED = {
    ("values", ""): "values is missing",
    ("values", "values = []"): "values is empty; it must hold at least one",
    ("values", "values = 3"): "values is 3; it must be a list",
    ("values", 'values = [1, "2"]'): "values[1] is '2'; it must be a number",
    ("values", "values = [1, true]"): "values[1] is True; it must be a number",
    ("values", "values = [nan]"): "values[0] is nan; it must be a finite number",
    ("values", "values = [5, 5.0]"): "two values are the same",
    ("values", "values = [5, 900]"): (
        "values has 900.0, but snr_db of the demand of user mu-1 at provider asp-1 is 900.0; it "
        "must be at most 200"
    ),
    ("vary", ""): "vary is missing",
    ("vary", 'vary = "snr"'): "vary is 'snr'; it must be one of users, providers, ",
    ("vary", 'vary = "users"'): "values has 20.5; a number of users must be a whole number above 0",
    ("schemes", ""): "schemes is missing",
    ("schemes", 'schemes = "token"'): "schemes is 'token'; it must be a list",
    ("schemes", "schemes = []"): "schemes is empty; it must hold at least one",
    ("schemes", "schemes = [3]"): "schemes[0] is 3; it must be a table",
    ("schemes", 'schemes = ["token", "rato"]'): "there is no scheme named 'rato'; the schemes are ",
    ("schemes", 'schemes = ["token", "token"]'): "two labels of schemes are the same",
    ("schemes", 'schemes = [{ label = "x" }]'): "schemes[0].scheme is missing",
    ("schemes", 'schemes = ["token", { scheme = "ratio", option = 1 }]'): (
        "'option' is not a key of schemes[1]; did you mean options?"
    ),
    ("schemes", 'schemes = [{ scheme = "ratio", options.total = "5" }]'): (
        "schemes[0].options.total is '5'; it must be a number"
    ),
    ("schemes", 'schemes = [{ scheme = "ratio", options.totl = 5 }]'): (
        "ratio has no option 'totl'; it has total"
    ),
    ("schemes", 'schemes = [{ scheme = "ratio", options.total = -5 }]'): (
        "total of ratio is -5.0; it must be zero or more"
    ),
    ("schemes", 'schemes = [{ scheme = "ratio", options = 5 }]'): (
        "schemes[0].options is 5; it must be a table"
    ),
    ("vary", 'vary = "profit_factor"\nscenario = "m.toml"\nseeds = 100'): (
        "seeds has no effect beside a scenario; leave it out"
    ),
    ("vary", 'vary = "profit_factor"\nscenario = "m.toml"\nranges.gap_scale = 0.1'): (
        "ranges has no effect beside a scenario; leave it out"
    ),
    ("vary", 'vary = "profit_factor"\nscenario = "m.toml"\nusers = 6'): (
        "users is 6; it must be at most 5"
    ),
    ("vary", 'vary = "users"\nusers = 3'): "users is what varies, so it is not fixed; leave it out",
}
