// The rows of a profile, made from the events of several runs: one row for each operator, also where several have one
// name. The n-th event of a name in a run belongs to the n-th row of that name.
#pragma once

#include <string>
#include <vector>

#include "backend.h"

namespace edgedeploy {

class OperatorRows {
 public:
  void begin_run() {
    run_++;
    next_ = 0;
  }

  // The index of the row for the next event of this name in the current run.
  size_t next_row(const std::string& name, const std::string& type, Delegated delegated) {
    for (size_t step = 0; step < rows_.size(); step++) {  // runs are alike, so the first one mostly fits
      const size_t index = (next_ + step) % rows_.size();
      if (last_run_[index] != run_ && rows_[index].name == name) return taken(index);
    }
    rows_.push_back({name, type, delegated, 0, 0});
    last_run_.push_back(run_);
    return taken(rows_.size() - 1);
  }

  OperatorTime& operator[](size_t index) { return rows_[index]; }
  const std::vector<OperatorTime>& rows() const { return rows_; }

 private:
  size_t taken(size_t index) {
    last_run_[index] = run_;
    next_ = index + 1;
    return index;
  }

  int64_t run_ = 0;
  size_t next_ = 0;
  std::vector<OperatorTime> rows_;
  std::vector<int64_t> last_run_;  // for each row the run that had an event for it last
};

}  // namespace edgedeploy
