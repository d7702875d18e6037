#include "program/device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <set>

#include "fake_backend.h"
#include "program/error.h"

namespace node_cudnn {
namespace {

Device::Open fake_into(fake::Log& log) {
  return [&log](const BackendOptions&) { return std::make_unique<fake::FakeBackend>(log); };
}

void open(Device& device, fake::Log& log) {
  device.post([&] { device.open(fake_into(log), {}); });
}

void close(Device& device) {
  std::promise<void> closed;
  device.close([&] { closed.set_value(); });
  closed.get_future().wait();
}

struct Holder : Resource {
  explicit Holder(Device& device) : memory(device.allocate(1000, "the holder")) {}
  void release() noexcept override { memory.reset(); }
  std::unique_ptr<Memory> memory;
};

TEST(Device, RunsTasksInOrderOnOneThreadOfItsOwn) {
  fake::Log log;
  Device device("fake");
  open(device, log);
  std::vector<int> order;
  std::set<std::thread::id> threads;
  for (int i = 0; i < 1000; ++i) {
    device.post([&, i] {
      order.push_back(i);
      threads.insert(std::this_thread::get_id());
    });
  }
  close(device);
  ASSERT_EQ(order.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_EQ(threads, std::set<std::thread::id>{log.opened});
  EXPECT_NE(log.opened, std::this_thread::get_id());
  EXPECT_EQ(log.closed, log.opened);
}

TEST(Device, TakesTasksFromManyThreads) {
  Device device("fake");
  std::atomic<int> done = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) device.post([&] { ++done; });
    });
  }
  for (auto& thread : threads) thread.join();
  close(device);
  EXPECT_EQ(done, 4000);
}

TEST(Device, ClosedTakesNothingMore) {
  Device device("cuda:3");
  close(device);
  try {
    device.post([] { ADD_FAILURE(); });
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::closed);
    EXPECT_STREQ(error.what(), "device 'cuda:3' is closed; open it again");
  }
  close(device);  // a second time is no error
}

TEST(Device, CloseFreesWhatIsLeftOnItsThread) {
  fake::Log log;
  std::shared_ptr<Holder> survivor;
  Device device("fake");
  open(device, log);
  device.post([&] {
    survivor = std::make_shared<Holder>(device);
    device.keep(survivor);
  });
  close(device);
  EXPECT_TRUE(log.memory.empty());
  EXPECT_EQ(device.memory().bytes(), 0u);
  EXPECT_EQ(device.memory().peak(), 1000u);
  EXPECT_FALSE(log.foreign_thread);
}

TEST(Device, DiscardFreesOneResource) {
  fake::Log log;
  Device device("fake");
  open(device, log);
  std::promise<std::pair<size_t, size_t>> bytes;
  device.post([&] {
    auto a = std::make_shared<Holder>(device);
    auto b = std::make_shared<Holder>(device);
    device.keep(a);
    device.keep(b);
    size_t before = device.memory().bytes();
    device.discard(a.get());
    device.discard(a.get());
    bytes.set_value({before, device.memory().bytes()});
  });
  EXPECT_EQ(bytes.get_future().get(), std::make_pair(size_t{2000}, size_t{1000}));
}

// A device that gets nothing to do before all of the test's tasks are posted, and what it did.
struct Held {
  Held() {
    device.post([this] { all_posted.get_future().wait(); });
  }
  void post_step(const std::string& name) {
    device.try_post_step([this, name] {
      done.push_back("start " + name);
      device.leave([this, name] { done.push_back("end " + name); });
    });
  }
  std::vector<std::string> finish() {
    all_posted.set_value();
    close(device);
    return done;
  }

  std::vector<std::string> done;
  std::promise<void> all_posted;
  Device device{"fake"};
};

TEST(Device, StartsAStepBesideTheOneBeforeAndNoOther) {
  Held held;
  for (const char* name : {"a", "b", "c", "d"}) held.post_step(name);
  EXPECT_EQ(held.finish(),
            (std::vector<std::string>{"start a", "start b", "end a", "start c", "end b", "start d", "end c", "end d"}));
}

TEST(Device, FinishesStepsBeforeAnyOtherTask) {
  Held held;
  held.post_step("a");
  held.device.post([&] { held.done.push_back("read"); });
  held.post_step("b");
  held.post_step("c");
  held.device.close([&] { held.done.push_back("closed"); });
  EXPECT_EQ(held.finish(),
            (std::vector<std::string>{"start a", "end a", "read", "start b", "start c", "end b", "end c", "closed"}));
}

TEST(Device, FinishesAStepWhenNothingWaits) {
  Device device("fake");
  std::promise<void> ended;
  device.try_post_step([&] { device.leave([&] { ended.set_value(); }); });
  ended.get_future().wait();
}

TEST(Device, AbandonFinishesWhatIsInFlight) {
  Device device("fake");
  std::promise<void> started;
  std::vector<std::string> done;
  device.try_post_step([&] {
    device.leave([&] { done.push_back("end"); });
    started.set_value();
    while (!device.abandoned()) std::this_thread::yield();
  });
  device.try_post_step([&] { done.push_back("dropped"); });
  started.get_future().wait();
  device.abandon();
  EXPECT_EQ(done, std::vector<std::string>{"end"});
}

TEST(Device, AbandonDropsWhatWaitsAndJoins) {
  fake::Log log;
  Device device("fake");
  open(device, log);
  std::promise<void> started;
  std::atomic<int> ran = 0;
  device.post([&] {
    started.set_value();
    while (!device.abandoned()) std::this_thread::yield();
    ++ran;
  });
  for (int i = 0; i < 100; ++i) device.post([&] { ++ran; });
  started.get_future().wait();
  device.abandon();
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(log.closed, log.opened);
  device.abandon();  // a second time is no error
}

TEST(Device, DestructionAbandons) {
  fake::Log log;
  {
    Device device("fake");
    open(device, log);
    std::promise<void> opened;
    device.post([&] { opened.set_value(); });
    opened.get_future().wait();
  }
  EXPECT_EQ(log.closed, log.opened);
}

TEST(Device, NotOpenedHasNoBackend) {
  Device device("fake");
  std::promise<bool> threw;
  device.post([&] {
    try {
      device.backend();
      threw.set_value(false);
    } catch (const Error&) {
      threw.set_value(true);
    }
  });
  EXPECT_TRUE(threw.get_future().get());
}

}  // namespace
}  // namespace node_cudnn
