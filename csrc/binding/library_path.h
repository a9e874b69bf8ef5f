// library_path.h - where libnbh was loaded from.
#pragma once

#include <string>

// The file that this process took libnbh from, as the dynamic loader says, in UTF-8; empty if it
// does not say.
std::string library_path();
