// Sets a remembered theme before the first paint, so that a dark page never flashes white.
(() => {
  try {
    const theme = localStorage.getItem("raybench-theme");
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  } catch { /* storage may be forbidden: the system's theme holds */ }
})();
