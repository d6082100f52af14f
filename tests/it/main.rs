//! The product from outside: its binary, its pages, a real browser, and the rules of the house.

mod browser;
mod pages;
mod server;
