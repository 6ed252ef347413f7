// A code that was refused is selected, so that the next key begins the right one. HTML alone can
// focus a field, and leaves the cursor before the wrong code. Without scripts that is how it stays.
const refused = document.querySelector("input[aria-invalid]");
refused.focus(); // not every browser does it with select
refused.select();
