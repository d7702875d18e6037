// Plans that were compiled at run time, kept on disk: one file for each, in a folder for each device, driver, library
// versions and mode.
#pragma once

#include <filesystem>
#include <string>

namespace node_cudnn::cuda {

std::string hash(const std::string& text);  // for the name of a file

class PlanFiles {
 public:
  // Nothing is kept below an empty folder, or one that cannot be written.
  PlanFiles(const std::filesystem::path& folder, const std::string& signature);

  std::string find(const std::string& key) const;  // empty where there is none
  void keep(const std::string& key, const std::string& plan) const;

 private:
  std::filesystem::path file_of(const std::string& key) const;

  std::filesystem::path folder_;
};

}  // namespace node_cudnn::cuda
