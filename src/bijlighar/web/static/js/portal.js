// Looks again at what is on its way, every 5 s while the page is seen; when it has arrived, the page is shown anew.
"use strict";
(function () {
  var pause = 5000, failed = 15000;
  var box = document.getElementById("status");
  function again(ms) { setTimeout(look, ms); }
  function look() {
    if (document.hidden) { again(pause); return; }
    fetch("/me/status", {credentials: "same-origin", redirect: "error"}).then(function (answer) {
      if (!answer.ok) { throw new Error(answer.status); }
      return answer.text();
    }).then(function (text) {
      var fresh = new DOMParser().parseFromString(text, "text/html").getElementById("status");
      if (!fresh) { throw new Error("no status"); }
      if (!fresh.dataset.moving) { location.reload(); return; }
      if (fresh.innerHTML !== box.innerHTML) { box.replaceChildren.apply(box, fresh.childNodes); }
      again(pause);
    }).catch(function () { again(failed); });
  }
  if (box && box.dataset.moving) { again(pause); }
})();
