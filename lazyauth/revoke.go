package lazyauth
