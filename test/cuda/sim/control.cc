#include "control.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>

#include "block.h"
#include "memory.h"
#include "stream.h"

namespace node_cudnn::simulation {
namespace {

constexpr size_t default_bytes = size_t{4} << 30;
constexpr auto longest_hold = std::chrono::seconds(60);

struct Control {
  std::recursive_mutex mutex;
  std::string settings;
  uint64_t seed = 0, fail = 0, calls = 0;
  bool fuses = true, takes_few = true, planted = false;
  Broken broken = Broken::no;
  uint64_t microseconds = 0;  // that the device has worked, where times are planted
  cudaError_t last = cudaSuccess, lost = cudaSuccess;
  std::string held_by;  // the file
  uint64_t waits = 0;
};

Control& control() {
  static Control& one = *new Control;
  return one;
}

uint64_t setting(const std::string& text, const char* key, uint64_t otherwise) {
  const size_t at = (',' + text).find(',' + std::string(key) + '=');
  if (at == std::string::npos) return otherwise;
  const char* begin = text.c_str() + at + std::strlen(key) + 1;
  uint64_t value = otherwise;
  std::from_chars(begin, text.c_str() + text.size(), value);
  return value;
}

// After these a device answers nothing else.
bool is_lasting(cudaError_t error) {
  return error == cudaErrorIllegalAddress || error == cudaErrorLaunchFailure || error == cudaErrorAssert;
}

cudaError_t remember(cudaError_t error) {
  if (error == cudaSuccess || error == cudaErrorNotReady) return error;
  control().last = error;
  if (is_lasting(error)) control().lost = error;
  return error;
}

}  // namespace

void read_settings() {
  const std::lock_guard lock(control().mutex);
  const char* given = std::getenv("NODE_CUDNN_SIMULATION");
  const std::string text = given == nullptr ? "" : given;
  if (text == control().settings) return;
  control().settings = text;
  control().seed = setting(text, "seed", 0);
  control().fuses = setting(text, "fuse", 1) != 0;
  control().takes_few = setting(text, "few", 1) != 0;
  control().broken = static_cast<Broken>(setting(text, "broken", 0));
  control().fail = setting(text, "fail", 0);
  control().planted = setting(text, "kernel", 0) != 0;
  control().calls = 0;
  control().last = control().lost = cudaSuccess;
  set_device_bytes(setting(text, "bytes", default_bytes));
  drop_all();
}

uint64_t seed() { return control().seed; }
bool fuses() { return control().fuses; }
bool takes_few() { return control().takes_few; }
Broken first_engine() { return control().broken; }
uint64_t calls() { return control().calls; }

double milliseconds_now() {
  using namespace std::chrono;
  if (control().planted) return 1e-3 * static_cast<double>(control().microseconds);
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

void done(const std::string& work) {
  if (!control().planted) return;
  const std::string& text = control().settings;
  control().microseconds += setting(text, work.c_str(), setting(text, "plan", 0));
}

void note(const char* what, std::initializer_list<const void*> about, size_t bytes) {
  const char* file = std::getenv("NODE_CUDNN_SIMULATION_LOG");
  if (file == nullptr || *file == '\0') return;
  const std::lock_guard lock(control().mutex);
  std::ofstream line(file, std::ios::app);
  line << what << ' ' << bytes;
  for (const void* one : about) line << ' ' << one;
  line << '\n';
}

void count_wait() {
  const char* file = std::getenv("NODE_CUDNN_SIMULATION_HOLD");
  const std::string now = file == nullptr ? "" : file;
  if (now != control().held_by) control().waits = 0;
  control().held_by = now;
  control().waits += 1;
}

void hold() {
  if (control().held_by.empty()) return;
  const auto end = std::chrono::steady_clock::now() + longest_hold;
  const auto allowed = [] {
    uint64_t number = 0;
    return !(std::ifstream(control().held_by) >> number) || number > control().waits;
  };
  while (!allowed() && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

cudaError_t call(cudaError_t failure, const Call& body) {
  const std::lock_guard lock(control().mutex);
  if (control().lost != cudaSuccess) return control().lost;
  if (++control().calls == control().fail) return remember(failure);
  return remember(body());
}

cudaError_t call_outside_capture(cudaError_t failure, const Call& body) {
  return call(failure, [&] { return spoil_captures() ? cudaErrorStreamCaptureUnsupported : body(); });
}

cudaError_t run_device(const std::function<void()>& work) {
  try {
    work();
    return cudaSuccess;
  } catch (const KernelError& error) {
    std::fprintf(stderr, "simulated device: %s\n", error.what());
    drop_all();
    return cudaErrorLaunchFailure;
  }
}

cudaError_t last_error(bool forget) {
  const std::lock_guard lock(control().mutex);
  if (control().lost != cudaSuccess) return control().lost;
  const cudaError_t error = control().last;
  if (forget) control().last = cudaSuccess;
  return error;
}

}  // namespace node_cudnn::simulation
