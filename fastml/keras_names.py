"""Keras's names and those of other libraries: what they mean here, and what to use where they mean nothing.

This file alone lists them. Names in `ALIASES` mean exactly one of ours and are taken; what is not quite the same is
refused in a sentence that names the nearest.
"""

import difflib
import re

ALIASES = {
    "acc": "accuracy",
    "bce": "binary_crossentropy",
    "exp": "exponential",
    "f1_score": "f1",
    "identity": "linear",
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "logistic": "sigmoid",
    "mae": "mean_absolute_error",
    "logcosh": "log_cosh",
    "mse": "mean_squared_error",
    "one": "ones",
    "orthogonal_initializer": "orthogonal",
    "r2_score": "r2",
    "rmse": "root_mean_squared_error",
    "roc_auc": "auc",
    "roc_auc_score": "auc",
    "swish": "silu",
    "uniform": "random_uniform",
    "xavier": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "xavier_uniform": "glorot_uniform",
    "zero": "zeros",
}

NEAREST = {  # not the same, but what is meant to do that job here
    "adadelta": "rmsprop",
    "cosine_similarity": "mean_squared_error",
    "hinge": "binary_crossentropy",
    "kl_divergence": "categorical_crossentropy",
    "kld": "categorical_crossentropy",
    "mape": "mean_absolute_error",
    "mean_absolute_percentage_error": "mean_absolute_error",
    "mean_squared_logarithmic_error": "mean_squared_error",
    "momentum": "sgd",
    "msle": "mean_squared_error",
    "nadam": "adam",
    "nesterov": "sgd",
    "relu6": "relu",
    "squared_hinge": "binary_crossentropy",
}

DENSE_ONLY = "fastml trains dense nets on tables; the nearest is Dense, on rows that you flatten"
CHAINS_ONLY = "a model is one chain of layers, Sequential([…])"
PREPARE = "prepare the columns before fit, by TableEncoder or the estimators of fastml.sklearn"
STEPS = "steps run as compiled code: see losses, layers and optimizers of your own in docs/custom, and train_on_batch"
NO_FOLDERS = "a model is one safetensors file: model.save('model.safetensors')"

MISSING = {
    **dict.fromkeys(
        ("Conv1D", "Conv2D", "Conv3D", "SeparableConv2D", "DepthwiseConv2D", "Conv2DTranspose"), DENSE_ONLY
    ),
    **dict.fromkeys(("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"), DENSE_ONLY),
    **dict.fromkeys(("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling2D"), DENSE_ONLY),
    **dict.fromkeys(("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "TimeDistributed", "Masking"), DENSE_ONLY),
    **dict.fromkeys(("Attention", "MultiHeadAttention", "RepeatVector", "Permute", "UpSampling2D"), DENSE_ONLY),
    **dict.fromkeys(("Model", "Functional"), f"{CHAINS_ONLY}; graphs and subclasses are not supported"),
    **dict.fromkeys(("Concatenate", "concatenate"), f"{CHAINS_ONLY}: put the columns into one x by numpy.hstack"),
    **dict.fromkeys(
        ("Add", "Multiply", "Subtract", "Average", "Maximum", "Minimum", "Dot"), f"{CHAINS_ONLY}, no graph"
    ),
    **dict.fromkeys(("Flatten", "Reshape"), "rows are flat here: pass x.reshape(len(x), -1)"),
    "GroupNormalization": "the nearest is BatchNormalization",
    "UnitNormalization": "the nearest is BatchNormalization",
    **dict.fromkeys(("GaussianNoise", "GaussianDropout", "AlphaDropout", "SpatialDropout1D"), "the nearest is Dropout"),
    "Lambda": "the nearest is Activation(f), or a Layer of your own with a method call; see docs/custom",
    "ActivityRegularization": "the nearest is Dense(…, kernel_regularizer=L2(…))",
    "PReLU": "the nearest is Activation('leaky_relu', alpha=…), with a slope that is not trained",
    "ThresholdedReLU": "the nearest is Activation('relu')",
    **dict.fromkeys(("CategoryEncoding", "StringLookup", "IntegerLookup", "Hashing", "TextVectorization"), PREPARE),
    "Discretization": PREPARE,
    "Rescaling": "the nearest is Normalization, the first layer, or scale x before fit",
    "InputLayer": "use Input(shape=(features,)), or Sequential(…, input_dim=features)",
    "Variable": "weights are NumPy arrays: model.get_weights() and model.set_weights(…)",
    **dict.fromkeys(("Nadam", "Lion", "Lamb", "Ftrl", "Adafactor"), "the nearest are Adam and AdamW"),
    "Adadelta": "the nearest is RMSprop",
    "LossScaleOptimizer": "arithmetic is float32 or float64 as a whole: Sequential(…, dtype='float64')",
    **dict.fromkeys(("KLDivergence", "kl_divergence"), "CategoricalCrossentropy has the same gradient"),
    **dict.fromkeys(("Hinge", "SquaredHinge", "CategoricalHinge"), "the nearest is BinaryCrossentropy"),
    "MeanAbsolutePercentageError": "the nearest is MeanAbsoluteError, on the logarithm of y",
    "MeanSquaredLogarithmicError": "the nearest is MeanSquaredError, on the logarithm of y",
    "CosineSimilarity": "the nearest is MeanSquaredError, on rows of length 1",
    **dict.fromkeys(("BinaryFocalCrossentropy", "CategoricalFocalCrossentropy"), "the nearest is class_weight in fit"),
    "Tversky": "the nearest is BinaryCrossentropy with class_weight in fit",
    "Metric": "a metric of your own is a function of y_true and y_pred: compile(metrics=[f])",
    **dict.fromkeys(("TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy"), "the nearest metric is 'accuracy'"),
    **dict.fromkeys(("InverseTimeDecay", "PolynomialDecay"), "the nearest are ExponentialDecay and CosineDecay"),
    "CosineDecayRestarts": "the nearest is CosineDecay, without restarts",
    "BackupAndRestore": "use ModelCheckpoint and fit(…, resume=True), which goes on with the same bits",
    **dict.fromkeys(("ProgbarLogger", "RemoteMonitor", "SwapEMAWeights"), "write a Callback, or fit(…, verbose=1)"),
    "plot_model": "use model.summary(), or the pictures of fastml.plots",
    "model_to_dot": "use model.summary(), or the pictures of fastml.plots",
    **dict.fromkeys(("pad_sequences", "image_dataset_from_directory", "PyDataset", "Sequence"), "pass arrays to fit"),
    "normalize": "use the layer Normalization",
    "mixed_precision": "arithmetic is float32 or float64 as a whole: Sequential(…, dtype='float64')",
    **dict.fromkeys(("backend", "ops"), "models are built of layers, and arrays are NumPy's"),
    **dict.fromkeys(("applications", "preprocessing"), DENSE_ONLY),
    "AUC": "the metric has a name, compile(…, metrics=['auc']), and fastml.metrics.AUC() stands for it",
}

MODEL = {  # attributes of a Keras model
    **dict.fromkeys(("export", "to_onnx"), NO_FOLDERS),
    **dict.fromkeys(
        ("inputs", "input", "outputs", "output"), "there is no graph of tensors; see input_shape, output_shape"
    ),
    "call": "call the model itself, model(x), or model.predict(x)",
    **dict.fromkeys(("train_step", "test_step", "make_train_function"), STEPS),
    **dict.fromkeys(("compute_loss", "compute_metrics"), "use model.evaluate(x, y), or model.gradients(x, y)"),
    **dict.fromkeys(("add_loss", "losses"), "penalties are arguments of layers: Dense(…, kernel_regularizer=L2(…))"),
    "add_metric": "name metrics in compile(…, metrics=[…])",
    "metrics_names": "evaluate(…, return_dict=True) has the names",
    "reset_metrics": "metrics hold nothing between calls; there is nothing to reset",
    "reset_states": "layers keep no states between rows; there is nothing to reset",
    **dict.fromkeys(("fit_generator", "evaluate_generator", "predict_generator"), "pass the generator to fit itself"),
    "run_eagerly": "use compile(…, executor='numpy'), the readable reference",
    "to_yaml": "use to_json()",
}

LAYER = {  # attributes of a Keras layer
    **dict.fromkeys(("kernel_constraint", "bias_constraint"), "the nearest is kernel_regularizer=L2(…)"),
    "activity_regularizer": "the nearest is kernel_regularizer=L2(…)",
    **dict.fromkeys(("dtype", "dtype_policy"), "the dtype is the model's: Sequential(…, dtype='float64')"),
    "input_spec": "give the first layer input_dim, or the model",
    **dict.fromkeys(("output", "input"), "there is no graph of tensors; a shorter Sequential tells what a layer gives"),
    **dict.fromkeys(("batch_input_shape", "batch_shape"), "use input_shape=(features,), without the rows"),
}

ARGUMENTS = {  # of constructors and methods, by the name of what has them or of the argument alone
    **LAYER,
    "weights": "use kernel_initializer=array and bias_initializer=array, or layer.set_weights after build",
    "lr": "it is called learning_rate",
    "decay": "pass a schedule as learning_rate, such as ExponentialDecay",
    "amsgrad": "the nearest is Adam without it",
    "centered": "the nearest is RMSprop without it",
    "use_ema": "the nearest is EarlyStopping, which restores the best weights",
    "loss_scale_factor": "arithmetic is float32 or float64 as a whole",
    "gradient_accumulation_steps": "take a larger batch_size",
    "lora_rank": "freeze layers by layer.trainable = False",
    "max_value": "the nearest is ReLU() without it",
    "threshold": "the nearest is ReLU() without it",
    "axis": "rows have one axis, that of the features",
    "noise_shape": "each element is dropped by itself",
    **dict.fromkeys(("center", "scale"), "both gamma and beta are trained"),
    "batch_size": "the number of rows is no part of a model",
    "sparse": "arrays are dense",
    "reduction": "losses are the mean over the rows; for a sum multiply the learning_rate",
    "warmup_target": "give the peak as learning_rate: CosineDecay(peak, steps, warmup_steps)",
    "loss_weights": "a model has one output and one loss; weigh rows by sample_weight in fit",
    "weighted_metrics": "metrics are not weighted; the loss is, by sample_weight",
    "run_eagerly": "use executor='numpy', the readable reference",
    "jit_compile": "models always run as compiled code; executor='numpy' is the readable reference",
    "steps_per_execution": "many steps always run between two looks at Python",
    "auto_scale_loss": "losses are not scaled",
    **dict.fromkeys(("max_queue_size", "workers", "use_multiprocessing"), "batches are drawn in this thread"),
    **dict.fromkeys(("validation_steps", "steps"), "all rows given are taken; pass fewer"),
    "save_freq": "use every_epochs or every_seconds",
    "period": "it is called every_epochs",
    "initial_value_threshold": "the nearest is EarlyStopping(baseline=…)",
    **dict.fromkeys(("histogram_freq", "embeddings_freq"), "see fastml.plots.weight_histograms"),
    **dict.fromkeys(
        ("write_graph", "write_images", "update_freq", "profile_batch"), "only the logs of epochs are written"
    ),
    "nb_epoch": "it is called epochs",
    "nb_epochs": "it is called epochs",
    "output_dim": "it is called units",
    "embedding_dim": "see Embedding(columns, widths)",
    "positions": "the columns of the table are as wide as their text",
    "line_length": "the columns of the table are as wide as their text",
    "layer_range": "the table has all layers",
    "thresholds": "classes are told apart at ½; compute yours from predict in a Callback",
    "curve": "auc is the area under the ROC curve",
    "num_thresholds": "auc is exact here",
    "multi_label": "the loss says it: binary_crossentropy is for several labels in a row",
    "average": "it is the mean over the classes",
}

SAME = {  # arguments that mean one of ours, by class
    "CosineDecay": {"initial_learning_rate": "learning_rate", "decay_steps": "steps"},
    "ExponentialDecay": {"initial_learning_rate": "learning_rate"},
    "LeakyReLU": {"alpha": "negative_slope"},
}


def snake(name):
    """MeanSquaredError as mean_squared_error."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def canonical(name, registry):
    """The entry of a registry that a name means: itself, an alias, or that of a class; else the name as it is."""
    if isinstance(name, str) and name not in registry:
        for guess in (ALIASES.get(name.lower()), name.lower(), snake(name), ALIASES.get(snake(name))):
            if guess in registry:
                return guess
    return name


def hint(name, registry):
    """A sentence on the entry of a registry that comes closest to a name, with a space in front, or nothing."""
    known = NEAREST.get(name.lower()) or NEAREST.get(snake(name))
    if known in registry:
        return f" The nearest is '{known}'."
    close = difflib.get_close_matches(name, registry, n=1)
    return f" Did you mean '{close[0]}'?" if close else ""
