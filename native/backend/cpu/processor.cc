#include "backend/cpu/processor.h"

#include <oneapi/dnnl/dnnl.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <set>
#include <stdexcept>
#include <thread>

namespace node_cudnn::cpu {

namespace {

// The first line of a file, empty where it cannot be read.
std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The value of a line "key : value" or "key value"; empty where the file has none.
std::string field(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const size_t start = line.find_first_not_of(" \t:", key.size());
    if (start != std::string::npos) return line.substr(start);
  }
  return "";
}

// The control group of this process, version 2.
std::string control_group() {
  const std::string line = first_line("/proc/self/cgroup");
  return "/sys/fs/cgroup" + (line.compare(0, 3, "0::") == 0 ? line.substr(3) : "") + "/";
}

// CPU time per wall time that the control group grants; infinite where there is no limit.
double cpu_quota() {
  std::ifstream file(control_group() + "cpu.max");
  double quota = 0, period = 0;
  return file >> quota >> period && period > 0 ? quota / period : INFINITY;
}

int physical_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  std::set<std::string> cores;  // hardware threads of one core share the list of their numbers
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &allowed)) continue;
    const std::string id = std::to_string(i);
    const std::string siblings = first_line("/sys/devices/system/cpu/cpu" + id + "/topology/thread_siblings_list");
    cores.insert(siblings.empty() ? id : siblings);
  }
  return std::max<int>(1, static_cast<int>(cores.size()));
}

int default_threads() {
  return static_cast<int>(std::min<double>(physical_cores(), std::max(1.0, std::ceil(cpu_quota()))));
}

Isa detect_isa() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return Isa::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Isa::avx2;
#endif
  return Isa::generic;
}

// What oneDNN will use: a set of bits, every processor with AMX having those of AVX512-BF16 too.
bool detect_bfloat16() {
  constexpr int wanted = dnnl_cpu_isa_avx512_core_bf16;
  return (static_cast<int>(dnnl_get_effective_cpu_isa()) & wanted) == wanted;
}

size_t kibibytes(const std::string& text) { return text.empty() ? SIZE_MAX : std::stoull(text) * 1024; }

size_t control_group_memory() {
  std::ifstream limit_file(control_group() + "memory.max"), used_file(control_group() + "memory.current");
  size_t limit = 0, used = 0;
  if (!(limit_file >> limit && used_file >> used)) return SIZE_MAX;
  return limit > used ? limit - used : 0;
}

}  // namespace

Cpu detect_cpu(int threads) {
  if (threads < 0) throw std::invalid_argument("threads must be positive, not " + std::to_string(threads));
  const Isa isa = detect_isa();
  return {threads > 0 ? threads : default_threads(), isa, detect_bfloat16(), isa == Isa::avx512 ? 16 : 8};
}

std::string processor_name() {
  const std::string name = field("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown processor" : name;
}

size_t available_memory() {
  return std::min(kibibytes(field("/proc/meminfo", "MemAvailable")), control_group_memory());
}

}  // namespace node_cudnn::cpu
