"""``fastml info MODEL``: what a model file holds and how it came to be."""

from fastml.commands import listing, one_line
from fastml.commands.figures import many
from fastml.commands.models import read_any


def info(path):
    """Prints what is known of a model."""
    model = read_any(path)
    about = getattr(model, "about_", None) or {}
    what = "a classifier" if hasattr(model, "classes_") else "a regressor" if hasattr(model, "network") else "a network"
    network = getattr(model, "network", model)
    print(f"Model   {path}: {what} with {many(sum(w.size for w in network.get_weights()), 'weight')}")
    if about.get("target"):
        print(f"Task    {about['task']} of {about['target']!r}, from {about['source']}")
        rows = about["rows"]
        told = f"{rows['validate']} to tell when to stop" if rows["validate"] else "folds of which told when to stop"
        print(f"Rows    {rows['train']} to learn from, {told}, {rows['test']} to test")
    if hasattr(model, "classes_"):
        print(f"Classes {listing(model.classes_.tolist())}")
    encoder = getattr(model, "encoder_", None)
    if encoder is not None:
        print("Columns")
        for name, encoding in zip(model.feature_names_in_, encoder._encodings, strict=True):
            print(f"  {one_line(name)}: {encoding.kind}, {encoding.tells()}")
    elif getattr(model, "feature_names_in_", None) is not None:
        print(f"Columns {listing(model.feature_names_in_, 30)}")
    if about.get("scores"):
        print("Scores  on its test rows")
        for name, value in about["scores"].items():
            shown = "not defined" if value["model"] is None else f"{value['model']:.4g}"
            naive = "" if value["baseline"] is None else f", baseline {value['baseline']:.4g}"
            print(f"  {name}: {shown}{naive}")
    if about.get("when"):
        print(f"Made    {about['when']} by {about['command']}")
        print(f"With    {', '.join(f'{name} {number}' for name, number in about['versions'].items())}")
