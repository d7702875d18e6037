#include "program/planner.h"

#include <algorithm>
#include <numeric>

namespace node_cudnn {
namespace {

constexpr int never = -1;
constexpr int most_attempts = 30;

struct Lifetime {
  int start = never;
  int end = never;
};

std::vector<Lifetime> lifetimes(const std::vector<ArenaValue>& values, const std::vector<ArenaNode>& nodes) {
  std::vector<Lifetime> lives(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].in_arena && values[i].input) lives[i] = {0, 0};
  }
  int time = 0;
  for (const ArenaNode& node : nodes) {
    ++time;
    for (int value : node.inputs) lives[static_cast<size_t>(value)].end = time;
    for (int value : node.outputs) lives[static_cast<size_t>(value)] = {time, time};
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].in_arena) lives[i] = {};
    if (lives[i].start != never && values[i].keep) lives[i].end = time + 1;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i].whole < 0 || lives[i].start == never) continue;
    Lifetime& whole = lives[static_cast<size_t>(values[i].whole)];
    whole = {std::min(whole.start, lives[i].start), std::max(whole.end, lives[i].end)};
  }
  return lives;
}

// Values that share one place, one after the other.
struct Tenant {
  size_t bytes = 0;
  Lifetime life;
  size_t offset = 0;

  size_t end() const { return offset + bytes; }
  bool meets(const Tenant& other) const { return life.start <= other.life.end && other.life.start <= life.end; }
};

class Planner {
 public:
  Planner(const std::vector<ArenaValue>& values, const std::vector<ArenaNode>& nodes)
      : values_(values), nodes_(nodes), lives_(lifetimes(values, nodes)), tenant_of_(values.size(), never) {}

  ArenaPlan run() {
    for (size_t i = 0; i < values_.size(); ++i) {
      if (lives_[i].start == 0) house(i);
    }
    for (size_t i = 0; i < nodes_.size(); ++i) house_outputs(nodes_[i], static_cast<int>(i) + 1);
    const size_t workspaces = tenants_.size();
    for (size_t i = 0; i < nodes_.size(); ++i) house_workspace(nodes_[i], static_cast<int>(i) + 1);
    ArenaPlan plan;
    plan.arena_bytes = place();
    plan.lower_bound_bytes = most_live();
    for (size_t i = 0; i < values_.size(); ++i) plan.offsets.push_back(offset_of(i));
    auto workspace = tenants_.begin() + static_cast<std::ptrdiff_t>(workspaces);
    for (const ArenaNode& node : nodes_)
      plan.workspaces.push_back(node.workspace_bytes > 0 ? static_cast<int64_t>((workspace++)->offset) : never);
    return plan;
  }

 private:
  void house(size_t value) {
    tenant_of_[value] = static_cast<int>(tenants_.size());
    tenants_.push_back({align(values_[value].bytes), lives_[value]});
  }

  void house_workspace(const ArenaNode& node, int time) {
    if (node.workspace_bytes > 0) tenants_.push_back({align(node.workspace_bytes), {time, time}});
  }

  int64_t offset_of(size_t value) const {
    if (tenant_of_[value] == never) return -1;
    return static_cast<int64_t>(tenants_[static_cast<size_t>(tenant_of_[value])].offset + values_[value].whole_offset);
  }

  void house_outputs(const ArenaNode& node, int time) {
    for (auto [output, input] : node.in_place) {
      move_in(node, static_cast<size_t>(node.outputs.at(static_cast<size_t>(output))),
              static_cast<size_t>(node.inputs.at(static_cast<size_t>(input))), time);
    }
    for (int output : node.outputs) {
      size_t value = static_cast<size_t>(output);
      if (lives_[value].start == never) continue;
      const size_t home = values_[value].whole < 0 ? value : static_cast<size_t>(values_[value].whole);
      if (tenant_of_[home] == never) house(home);
      tenant_of_[value] = tenant_of_[home];
    }
  }

  void move_in(const ArenaNode& node, size_t output, size_t input, int time) {
    bool both = lives_[output].start != never && lives_[input].start != never && tenant_of_[output] == never;
    if (!both || values_[output].bytes != values_[input].bytes) return;
    if (values_[output].whole >= 0 || values_[input].whole >= 0 || lives_[output].start != time) return;
    auto shares = [&](int other) { return tenant_of_[static_cast<size_t>(other)] == tenant_of_[input]; };
    if (std::count_if(node.inputs.begin(), node.inputs.end(), shares) != 1) return;
    Tenant& tenant = tenants_[static_cast<size_t>(tenant_of_[input])];
    if (tenant.life.end != time) return;     // the input is read later, or another output of this node has moved in
    if (lives_[output].end == time) return;  // nobody reads it: a second output could not tell
    tenant.life.end = lives_[output].end;
    tenant_of_[output] = tenant_of_[input];
  }

  // Largest first; then again, as long as that leaves gaps, with whoever ended on top placed before all others.
  size_t place() {
    std::vector<size_t> order(tenants_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return tenants_[a].bytes > tenants_[b].bytes; });
    const size_t bound = most_live();
    size_t arena = place(order);
    std::vector<Tenant> best = tenants_;
    for (int attempt = 0; attempt < most_attempts && arena > bound; ++attempt) {
      auto top = std::max_element(order.begin(), order.end(),
                                  [&](size_t a, size_t b) { return tenants_[a].end() < tenants_[b].end(); });
      std::rotate(order.begin(), top, top + 1);
      size_t bytes = place(order);
      if (bytes >= arena) continue;
      arena = bytes;
      best = tenants_;
    }
    tenants_ = std::move(best);
    return arena;
  }

  size_t place(const std::vector<size_t>& order) {
    std::vector<const Tenant*> placed;  // by offset
    size_t arena = 0;
    for (size_t index : order) {
      Tenant& tenant = tenants_[index];
      tenant.offset = 0;
      for (const Tenant* other : placed) {
        if (!tenant.meets(*other)) continue;
        if (other->offset >= tenant.end()) break;
        tenant.offset = std::max(tenant.offset, other->end());
      }
      auto by_offset = [](const Tenant* a, const Tenant* b) { return a->offset < b->offset; };
      placed.insert(std::upper_bound(placed.begin(), placed.end(), &tenant, by_offset), &tenant);
      arena = std::max(arena, tenant.end());
    }
    return arena;
  }

  size_t most_live() const {
    std::vector<int64_t> change(nodes_.size() + 3, 0);
    for (const Tenant& tenant : tenants_) {
      change[static_cast<size_t>(tenant.life.start)] += static_cast<int64_t>(tenant.bytes);
      change[static_cast<size_t>(tenant.life.end) + 1] -= static_cast<int64_t>(tenant.bytes);
    }
    int64_t live = 0;
    int64_t most = 0;
    for (int64_t delta : change) most = std::max(most, live += delta);
    return static_cast<size_t>(most);
  }

  const std::vector<ArenaValue>& values_;
  const std::vector<ArenaNode>& nodes_;
  const std::vector<Lifetime> lives_;
  std::vector<Tenant> tenants_;
  std::vector<int> tenant_of_;  // by value
};

}  // namespace

ArenaPlan plan_arena(const std::vector<ArenaValue>& values, const std::vector<ArenaNode>& nodes) {
  return Planner(values, nodes).run();
}

}  // namespace node_cudnn
