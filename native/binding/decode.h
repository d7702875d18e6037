// JavaScript's plain objects to the program's data: types and ranges are checked here, meaning in program/verify.h.
#pragma once

#include <napi.h>

#include "program/choice.h"
#include "program/graph.h"
#include "program/state.h"

namespace node_cudnn {

Graph decode_graph(Napi::Value value);
std::vector<Alternative> decode_alternatives(Napi::Value value);
std::vector<Variable> decode_variables(Napi::Value value);

}  // namespace node_cudnn
