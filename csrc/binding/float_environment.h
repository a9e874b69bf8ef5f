// float_environment.h - libnbh computes in the default floating-point environment.
#pragma once

#include <cfenv>

// Round to nearest, no flush-to-zero, no traps while it lives; the caller's environment afterwards.
// Another library in the process may have changed it, and threads inherit it: without this the
// image could depend on what was imported before.
class DefaultFloatEnvironment
{
  public:
    DefaultFloatEnvironment()
    {
        std::fegetenv(&saved_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~DefaultFloatEnvironment()
    {
        std::fesetenv(&saved_);
    }
    DefaultFloatEnvironment(const DefaultFloatEnvironment &) = delete;
    DefaultFloatEnvironment &operator=(const DefaultFloatEnvironment &) = delete;

  private:
    std::fenv_t saved_{};
};
