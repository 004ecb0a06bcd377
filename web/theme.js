// Before the first paint: the theme that was chosen, or the system's.
(function () {
    var theme = null;
    try {
        theme = localStorage.getItem('theme');
    } catch (e) {
        theme = null;
    }
    if (theme !== 'dark' && theme !== 'light')
        theme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
    document.documentElement.dataset.theme = theme;
})();
