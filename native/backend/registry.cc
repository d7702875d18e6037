#include "backend/registry.h"

#include <dlfcn.h>
#include <stdlib.h>
#ifdef __linux__
#include <elf.h>
#endif

#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <new>

#include "backend/reference/reference.h"
#include "program/error.h"

namespace node_cudnn {
namespace {

struct PlugIn {
  BackendInfo info;
  BackendFactory factory = nullptr;
  BackendFindings findings = nullptr;
};

std::string folder_of_addon() {
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&list_backends), &info) == 0 || info.dli_fname == nullptr) return ".";
  std::error_code error;
  auto path = std::filesystem::canonical(info.dli_fname, error);
  return (error ? std::filesystem::path(info.dli_fname) : path).parent_path().string();
}

std::string cure_for(const std::string& kind, const std::string& path) {
  if (kind == "cuda") {
    std::string why;  // as the build found it
    std::getline(std::ifstream(path + ".missing"), why);
    return "this build of node-cudnn has no CUDA back end" + (why.empty() ? "" : ": " + why) +
           "; run `scripts/setup --cuda`, or install a CUDA toolkit 12 or 13 and cuDNN 9.11 or later, then " +
           "`npm run build:native`; or use the device 'cpu'";
  }
  return "this build of node-cudnn has no CPU back end, because oneDNN 3.2 or later was not found when it was built; "
         "run `scripts/setup`, or set ONEDNN_ROOT, then `npm run build:native`";
}

// Opening a library whose end is missing would kill the process (SIGBUS), so its length is compared with its header's.
bool is_truncated([[maybe_unused]] const std::string& path) {
#ifdef __linux__
  Elf64_Ehdr header{};
  std::ifstream file(path, std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(&header), sizeof header)) return true;
  uint64_t needed = header.e_shoff + uint64_t{header.e_shnum} * header.e_shentsize;
  std::error_code error;
  return std::filesystem::file_size(path, error) < needed;
#else
  return false;
#endif
}

PlugIn load(const std::string& kind) {
  PlugIn plug_in{{kind, false, "", folder_of_addon() + "/node_cudnn_" + kind + ".so"}};
  BackendInfo& info = plug_in.info;
  std::error_code error;
  if (!std::filesystem::exists(info.path, error)) {
    info.reason = cure_for(kind, info.path) + " (there is no " + info.path + ")";
    return plug_in;
  }
  if (is_truncated(info.path)) {
    info.reason = info.path + " is incomplete; build it again with `npm run build:native`";
    return plug_in;
  }
  // Threads that wait sleep, unless the user chose otherwise: OpenMP reads this when a plug-in loads it. Spinning
  // threads made a step ten times slower wherever something else wanted a core.
  setenv("OMP_WAIT_POLICY", "passive", 0);
  void* library = dlopen(info.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    info.reason = std::string("it could not be loaded: ") + dlerror() + "; build it again with `npm run build:native`";
    return plug_in;
  }
  plug_in.factory = reinterpret_cast<BackendFactory>(dlsym(library, backend_factory_name));
  plug_in.findings = reinterpret_cast<BackendFindings>(dlsym(library, backend_findings_name));
  info.available = plug_in.factory != nullptr;
  if (!info.available) {
    info.reason = info.path + " belongs to another version of node-cudnn (it has no " + backend_factory_name +
                  "); build it again with `npm run build:native`";
  }
  return plug_in;
}

// Opened once per process; a failure is not remembered, since the cure may come while the process runs.
PlugIn plug_in(const std::string& kind) {
  static auto& mutex = *new std::mutex;
  static auto& loaded = *new std::map<std::string, PlugIn>;
  std::lock_guard lock(mutex);
  auto known = loaded.find(kind);
  if (known != loaded.end()) return known->second;
  PlugIn fresh = load(kind);
  if (fresh.factory != nullptr) loaded[kind] = fresh;
  return fresh;
}

}  // namespace

std::vector<BackendInfo> list_backends() {
  return {{"reference", true, "", ""}, plug_in("cpu").info, plug_in("cuda").info};
}

BackendOptions parse_device_name(const std::string& name, int threads) {
  BackendOptions options;
  size_t colon = name.find(':');
  options.kind = name.substr(0, colon);
  options.threads = threads;
  bool valid =
      options.kind == "cuda" || (colon == std::string::npos && (options.kind == "cpu" || options.kind == "reference"));
  if (colon != std::string::npos) {
    const char* end = name.data() + name.size();
    auto [stop, error] = std::from_chars(name.data() + colon + 1, end, options.ordinal);
    valid = valid && error == std::errc() && stop == end && options.ordinal >= 0;
  }
  if (!valid) {
    throw Error(ErrorCode::argument,
                "unknown device '" + name + "': expected 'cpu', 'reference', 'cuda' or 'cuda:N' with N = 0, 1, ...");
  }
  return options;
}

std::vector<Finding> examine(const BackendOptions& options) {
  const PlugIn found = plug_in(options.kind);
  if (!found.info.available) return {{"plug-in", found.info.reason, false}};
  std::vector<Finding> findings = {{"plug-in", found.info.path, true}};
  if (found.findings == nullptr) return findings;
  for (Finding& finding : found.findings(options)) findings.push_back(std::move(finding));
  return findings;
}

std::unique_ptr<Backend> open_backend(const BackendOptions& options) {
  if (options.kind == "reference") return make_reference_backend(options);
  PlugIn found = plug_in(options.kind);
  std::string name = options.kind + (options.kind == "cuda" ? ":" + std::to_string(options.ordinal) : "");
  if (found.factory == nullptr) {
    throw Error(ErrorCode::device, "device '" + name + "' is not available: " + found.info.reason);
  }
  // What a plug-in says of the machine is put under the name that was asked for.
  const auto refused = [&](ErrorCode code, const std::string& why) {
    return Error(code, "device '" + name + "' cannot be opened: " + why);
  };
  try {
    return std::unique_ptr<Backend>(found.factory(options));
  } catch (const Error& error) {
    throw refused(error.code(), error.what());
  } catch (const std::bad_alloc&) {
    throw refused(ErrorCode::out_of_memory, "out of memory; end what else uses the device");
  } catch (const std::exception& error) {
    throw refused(ErrorCode::device, error.what());
  }
}

}  // namespace node_cudnn
