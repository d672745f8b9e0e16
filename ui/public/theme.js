// Sets theme, contrast and text size before the first paint, from what was chosen last. The app corrects it later.
(function () {
  var root = document.documentElement;
  var read = function (key) {
    try {
      return localStorage.getItem('liftlock.' + key);
    } catch {
      return null;
    }
  };
  var prefers = function (query) {
    return window.matchMedia(query).matches;
  };
  var theme = read('theme');
  if (theme !== 'light' && theme !== 'dark')
    theme = prefers('(prefers-color-scheme: dark)') ? 'dark' : 'light';
  root.dataset.theme = theme;
  root.dataset.contrast =
    read('contrast') === 'more' || prefers('(prefers-contrast: more)') ? 'more' : 'normal';
  var percent = Number(read('text_percent'));
  if (percent >= 80 && percent <= 200) root.style.fontSize = percent + '%';
})();
