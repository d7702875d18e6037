// The contract between a program and a device. A back end knows how values are stored and how one node is computed;
// order, lifetimes and offsets are the program's business.
//
// Threads: a device has one thread of its own (program/device.h); every call below comes from it, the factory included.
// Errors: any call may throw std::exception; the message names the op, its path, the values and the cure.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "program/graph.h"

namespace node_cudnn {

// Addresses of a node's values in the order of Node::inputs and Node::outputs, 256-byte aligned; inside another value
// as offset_in() says.
struct Arguments {
  void* const* inputs;
  void* const* outputs;
  void* workspace;  // the kernel's own while it runs; before and after, other values of the step lie there
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(const Arguments& arguments) = 0;  // allocates nothing
};

struct Prepared {
  std::unique_ptr<Kernel> kernel;
  size_t workspace_bytes = 0;
  std::string implementation;                 // for the printed plan: "jit:avx512_core", "winograd:avx512", "reference"
  std::vector<std::pair<int, int>> in_place;  // (output index, input index) pairs that may share one address
};

// Returns when work of the device has ended, and throws what it met; empty where it had ended before.
using Wait = std::function<void()>;

// Of steps: one computes, the other brings its inputs beside it.
constexpr size_t most_in_flight = 2;

// Engines that cuDNN compiles at run time for what kernels of ours compute as well.
enum class CompiledEngines : uint8_t { never, timed, always };

struct BackendOptions {
  int threads = 0;   // 0: as many as physical cores
  int ordinal = 0;   // which device of its kind, for cuda:N
  std::string kind;  // "cpu", "cuda"

  // Of CUDA.
  bool deterministic = false;                                 // equal runs give equal bits
  bool tf32 = false;                                          // float32 products may round their operands to tf32
  bool measure_engines = true;                                // else the library's first proposal is taken
  CompiledEngines compiled_engines = CompiledEngines::never;  // timed: where one is faster; always: where there is one
  std::string libraries;                                      // the folder of cuDNN and cuBLASLt; empty: searched for
  std::string engine_cache;  // the folder where measured choices are kept; empty: the user's cache
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string description() const = 0;  // one line for people: processor, library and its version, threads
  // "dtype:bfloat16", "op:batch_norm_add_relu", ...; "measures": what is faster is found out by measure() below.
  virtual std::vector<std::string> features() const = 0;
  virtual int threads() const = 0;

  virtual size_t bytes(const ValueType& type) const = 0;  // of the physical layout, padding included
  virtual Prepared prepare(const Graph& graph, const Node& node) = 0;

  // Values inside others (program/slices.h). Where in `whole` its channels from `first` on lie as a value of type
  // `part` does, but for the distance of its images or pixels: in bytes; nothing where they do not.
  virtual std::optional<size_t> offset_in(const ValueType& /*whole*/, const ValueType& /*part*/,
                                          int64_t /*first*/) const {
    return std::nullopt;
  }
  // Whether the kernel of `node` finds its operand `value` inside another one; that of `concat` and `slice_channels`
  // copies no value that lies inside the other side.
  virtual bool takes_slice(const Graph& /*graph*/, const Node& /*node*/, int /*value*/) const { return false; }

  virtual size_t available() const { return SIZE_MAX; }  // bytes that allocate() could give now; SIZE_MAX: unknown
  virtual void* allocate(size_t bytes) = 0;              // 256-byte aligned, zeroed
  virtual void release(void* address) noexcept = 0;

  // Host side: dense in logical order; float32 for float32, bfloat16 and float16 values, else the value's own dtype.
  // Padding elements of the physical layout are kept at zero by every writer.
  virtual void write(const ValueType& type, const void* host, void* device) = 0;
  virtual void read(const ValueType& type, const void* device, void* host) = 0;
  virtual void synchronise() = 0;
  // Waits for all that is enqueued by now, and throws what kernels met since the mark before. Waits are called in the
  // order of the marks, none twice; no more than most_in_flight are open, and none when synchronise() is called.
  virtual Wait mark() { return {}; }

  // One step's launches, to be replayed any number of times; CUDA captures a graph here.
  virtual std::function<void()> capture(std::function<void()> launches) { return launches; }
  // Runs these one after the other; seconds of each, on the device's own clock where it has one.
  virtual std::vector<double> time(const std::vector<std::function<void()>>& launches);

  // Seconds of one step's launches, which are run a few times: the median, with cold caches where the device has a say.
  virtual double measure(const std::function<void()>& launches) { return time({launches}).front(); }
  // Choices by measured time (program/choice.h): what was kept under this line, or empty.
  virtual std::string known_choice(const std::string& /*problem*/) const { return {}; }
  virtual void keep_choice(const std::string& /*problem*/, const std::string& /*choice*/) {}
};

inline std::vector<double> Backend::time(const std::vector<std::function<void()>>& launches) {
  std::vector<double> seconds;
  synchronise();
  for (const auto& launch : launches) {
    const auto start = std::chrono::steady_clock::now();
    launch();
    synchronise();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return seconds;
}

// The only symbol that a plug-in exports. The version changes whenever this header or program/graph.h does.
constexpr int backend_version = 5;
constexpr const char* backend_factory_name = "node_cudnn_backend_v5";
using BackendFactory = Backend* (*)(const BackendOptions&);

}  // namespace node_cudnn
