// Reads nodes, one a line, and says which of them cuDNN can plan for a device that is not there:
//   plans STUB DEVICE_JSON_FILE < nodes > table
//   plans --describe ORDINAL > DEVICE_JSON_FILE
// A line is `kind dtype n c h w  o i kh kw  n o h w  sh sw  top left bottom right  dh dw  groups` for a convolution and
// `op dtype n c h w` for a batch norm, `op dtype n c h w  n c h w  kh kw  sh sw  top left bottom right  counted` for a
// pooling; the answer is the number of proposals that are precompiled, of those compiled at run time, and the first
// that became a plan. --describe is for a machine with a device: what cuDNN says of it.
#include <dlfcn.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "backend/cuda/libraries/convolution.h"
#include "backend/cuda/libraries/loader.h"
#include "backend/cuda/libraries/normalization.h"
#include "backend/cuda/libraries/pooling.h"

namespace node_cudnn::cuda {
namespace {

struct Kind {
  Pass pass;
  bool bias = false, residual = false, relu = false, statistics = false, prologue = false;
};
const std::map<std::string, Kind> kinds = {
    {"conv2d", {Pass::forward}},
    {"conv2d_dgrad", {Pass::dgrad}},
    {"conv2d_wgrad", {Pass::wgrad}},
    {"conv2d+bias", {Pass::forward, true}},
    {"conv2d_relu+bias", {Pass::forward, true, false, true}},
    {"conv2d_add_relu+bias", {Pass::forward, true, true, true}},
    {"conv2d_statistics", {Pass::forward, false, false, false, true}},
    {"conv2d_dgrad_statistics", {Pass::dgrad, false, false, false, true}},
    {"scaled_conv2d_statistics", {Pass::forward, false, false, false, true, true}},
    {"scaled_add_conv2d_statistics", {Pass::forward, false, true, false, true, true}},
    {"scaled_conv2d_wgrad", {Pass::wgrad, false, false, false, false, true}}};
struct NormalizationKind {
  bool backward, residual, relu;
};
const std::map<std::string, NormalizationKind> normalizations = {
    {"batch_norm", {false, false, false}},         {"batch_norm_relu", {false, false, true}},
    {"batch_norm_add_relu", {false, true, true}},  {"batch_norm_grad", {true, false, false}},
    {"batch_norm_relu_grad", {true, false, true}}, {"batch_norm_add_relu_grad", {true, true, true}}};
const std::map<std::string, DType> dtypes = {
    {"float32", DType::float32}, {"float16", DType::float16}, {"bfloat16", DType::bfloat16}};

template <size_t n>
void read(std::istream& in, std::array<int64_t, n>& values) {
  for (int64_t& value : values) in >> value;
}

Convolution parse_convolution(const std::string& line) {
  std::istringstream in(line);
  std::string name, dtype;
  Convolution c{};
  in >> name >> dtype;
  const Kind& kind = kinds.at(name);
  c.pass = kind.pass;
  c.bias = kind.bias;
  c.residual = kind.residual;
  c.relu = kind.relu;
  c.statistics = kind.statistics;
  c.prologue = kind.prologue;
  c.dtype = c.result = dtypes.at(dtype);
  read(in, c.x);
  read(in, c.w);
  read(in, c.y);
  read(in, c.stride);
  read(in, c.padding);
  read(in, c.dilation);
  in >> c.groups;
  if (!in) throw std::invalid_argument("not a convolution: " + line);
  return c;
}

Normalization parse_normalization(const std::string& line) {
  std::istringstream in(line);
  std::string name, dtype;
  Normalization n{};
  in >> name >> dtype;
  const NormalizationKind& kind = normalizations.at(name);
  n.backward = kind.backward;
  n.residual = kind.residual;
  n.relu = kind.relu;
  n.dtype = dtypes.at(dtype);
  read(in, n.x);
  if (!in) throw std::invalid_argument("not a batch norm: " + line);
  return n;
}

Pooling parse_pooling(const std::string& line) {
  std::istringstream in(line);
  std::string name, dtype;
  Pooling p{};
  in >> name >> dtype;
  p.maximum = name.starts_with("max");
  p.backward = name.ends_with("_grad");
  p.dtype = dtypes.at(dtype);
  read(in, p.x);
  read(in, p.y);
  read(in, p.kernel);
  read(in, p.stride);
  read(in, p.padding);
  in >> p.count_padding;
  if (!in) throw std::invalid_argument("not a pooling: " + line);
  return p;
}

// Precompiled proposals first; of the others, those whose kernel was compiled before, for a node of this kind.
template <class Problem>
std::string first_plan(const GraphPlanner& planner, const Problem& problem, const std::string& kind,
                       std::vector<Candidate> found) {
  static std::set<std::string> compiled;
  const auto cost = [&](const Candidate& one) {
    return !one.compiles ? 0 : compiled.contains(kind + one.name) ? 1 : 2;
  };
  std::stable_sort(found.begin(), found.end(), [&](const auto& a, const auto& b) { return cost(a) < cost(b); });
  for (const Candidate& candidate : found) {
    if (!build(planner, problem, candidate)) continue;
    if (candidate.compiles) compiled.insert(kind + candidate.name);
    return candidate.name;
  }
  return "none";
}

template <class Problem>
void answer(const GraphPlanner& planner, const Problem& problem, const std::string& kind) {
  const std::vector<Candidate> found = candidates(planner, problem);
  const auto compiled = std::count_if(found.begin(), found.end(), [](const Candidate& one) { return one.compiles; });
  std::cout << std::ssize(found) - compiled << ' ' << compiled << ' ' << first_plan(planner, problem, kind, found)
            << std::endl;
}

void answer(const GraphPlanner& planner, const std::string& line) {
  const std::string kind = line.substr(0, line.find(' '));
  if (normalizations.contains(kind))
    answer(planner, parse_normalization(line), kind);
  else if (kind.find("_pool2d") != std::string::npos)
    answer(planner, parse_pooling(line), kind);
  else
    answer(planner, parse_convolution(line), kind);
}

void open_stub(const char* path) {
  if (dlopen("libcuda.so.1", RTLD_NOW) != nullptr) throw std::runtime_error("this machine has a driver");
  if (dlopen(path, RTLD_NOW | RTLD_GLOBAL) == nullptr) throw std::runtime_error(dlerror());
}

std::string content(const char* path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  std::string whole = text.str();
  return whole.substr(0, whole.find_last_of('}') + 1);
}

CudnnFunctions open_libraries() {
  const Surroundings surroundings = Surroundings::of_process("");
  open_cublas(surroundings);
  open_nvrtc(surroundings);
  return CudnnFunctions(open_cudnn(surroundings).library);
}

void describe(const std::string& ordinal) {
  if (dlopen("libcuda.so.1", RTLD_NOW) == nullptr) throw std::runtime_error("this machine has no driver");
  const CudnnFunctions cudnn = open_libraries();
  Descriptor device(cudnn, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device.set(CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, int32_t{std::stoi(ordinal)}).finalize();
  std::cout << device.text(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION) << std::endl;
}

void run(const char* stub, const char* device) {
  open_stub(stub);
  const CudnnFunctions cudnn = open_libraries();
  const GraphPlanner planner(cudnn, content(device));
  std::cout << "cuDNN " << cudnn_version_text(cudnn.version()) << std::endl;
  for (std::string line; std::getline(std::cin, line);) answer(planner, line);
}

}  // namespace
}  // namespace node_cudnn::cuda

int main(int count, char** arguments) {
  try {
    if (count != 3) throw std::invalid_argument("usage: plans (STUB DEVICE_JSON_FILE < nodes | --describe ORDINAL)");
    if (arguments[1] == std::string("--describe"))
      node_cudnn::cuda::describe(arguments[2]);
    else
      node_cudnn::cuda::run(arguments[1], arguments[2]);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "plans: " << error.what() << '\n';
    return 1;
  }
}
