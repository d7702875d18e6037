// Stands before the toolkit's header of this name: the toolkit's types and declarations, and for kernels what nvcc
// would have built in.
#pragma once

#include <cuda_runtime_api.h>

#include "simulation.h"
