use std::collections::HashMap;
use std::hint::black_box;

mod shop {
    pub trait Price { fn price(&self) -> u64; }
    pub struct Book(pub u64);
    impl Price for Book {
        #[inline(never)]
        fn price(&self) -> u64 { self.0 * 3 }
    }
    #[inline(never)]
    pub fn total<T: Price>(v: &[T]) -> u64 { v.iter().map(|b| b.price()).sum() }
}

fn main() {
    let mut m = HashMap::new();
    m.insert(black_box(1u64), "a");
    println!("{} {}", shop::total(&[shop::Book(black_box(2))]), m.len());
}
