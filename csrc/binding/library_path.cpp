// library_path.cpp - asks the system's dynamic loader; no Python in here.
#include "library_path.h"

#include "nbh/nbh.h"

#if defined(_WIN32)
#include <cstddef>
#include <vector>

#include <windows.h>

std::string library_path()
{
    // What the program calls may be a jump to the function, so its address is asked for by name.
    HMODULE library = GetModuleHandleW(L"libnbh.dll");
    if (library == nullptr)
        library = GetModuleHandleW(L"nbh.dll");
    std::vector<wchar_t> wide(32768); // the longest path there is
    const DWORD units = library == nullptr ? 0
                                           : GetModuleFileNameW(library, wide.data(),
                                                                static_cast<DWORD>(wide.size()));
    if (units == 0 || units == wide.size())
        return {};
    const int size = static_cast<int>(units);
    const int bytes =
        WideCharToMultiByte(CP_UTF8, 0, wide.data(), size, nullptr, 0, nullptr, nullptr);
    std::string path(static_cast<std::size_t>(bytes), '\0');
    WideCharToMultiByte(CP_UTF8, 0, wide.data(), size, path.data(), bytes, nullptr, nullptr);
    return path;
}

#else
#include <dlfcn.h>

std::string library_path()
{
    Dl_info found{};
    if (dladdr(reinterpret_cast<const void *>(&nbh_version), &found) == 0 ||
        found.dli_fname == nullptr)
        return {};
    return found.dli_fname;
}

#endif
