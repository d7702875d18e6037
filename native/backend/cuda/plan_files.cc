#include "backend/cuda/plan_files.h"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>

namespace node_cudnn::cuda {

// FNV-1a.
std::string hash(const std::string& text) {
  uint64_t value = 14695981039346656037u;
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 1099511628211u;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(value));
  return digits;
}

PlanFiles::PlanFiles(const std::filesystem::path& folder, const std::string& signature)
    : folder_(folder.empty() ? folder : folder / ("plans-" + hash(signature))) {}

std::filesystem::path PlanFiles::file_of(const std::string& key) const { return folder_ / (hash(key) + ".json"); }

// The first line is the key.
std::string PlanFiles::find(const std::string& key) const {
  if (folder_.empty()) return {};
  std::ifstream file(file_of(key), std::ios::binary);
  std::string line;
  if (!std::getline(file, line) || line != key) return {};
  return {std::istreambuf_iterator<char>(file), {}};
}

void PlanFiles::keep(const std::string& key, const std::string& plan) const {
  if (folder_.empty() || plan.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  // Under another name first: other processes see all of it, or nothing.
  const std::filesystem::path written = file_of(key) += "." + std::to_string(getpid());
  const bool whole = static_cast<bool>(std::ofstream(written, std::ios::binary) << key << '\n' << plan << std::flush);
  if (whole) std::filesystem::rename(written, file_of(key), error);
  if (!whole || error) std::filesystem::remove(written, error);
}

}  // namespace node_cudnn::cuda
