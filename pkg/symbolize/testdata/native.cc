#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace shop {
template <typename T> struct Shelf {
	std::vector<T> items;
	__attribute__((noinline)) void sort() { std::sort(items.begin(), items.end()); }
	__attribute__((noinline)) Shelf() { items.push_back(T()); }
};
struct Base {
	virtual ~Base() {}
	virtual int price(int n) const = 0;
};
struct Book : Base {
	__attribute__((noinline)) int price(int n) const override { return n * 3; }
	bool operator<(const Book &) const { return true; }
};
__attribute__((noinline)) std::string label(const std::map<std::string, int> &m) { return m.begin()->first; }
}

int main(int argc, char **) {
	shop::Shelf<std::string> s;
	s.sort();
	shop::Book b;
	auto f = [&](int x) __attribute__((noinline)) { return b.price(x); };
	std::printf("%d %s\n", f(argc), shop::label({{"a", 1}}).c_str());
}
