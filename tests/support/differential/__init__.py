"""Holds a payload converter against the SDK's own, with generated types, values and JSON.

`shapes` and `declarations` write small programs: class statements, a hint, and values. `programs` runs each
program twice, so that each converter has classes and values of its own and neither sees what the other did.
`outcomes` runs both converters and compares what `describe` makes of their results. A difference is reported
as a program that shows it.
"""
