// Links that change something are sent as POST, so that no prefetch, history or foreign page triggers them.
// Without this script they work as plain links.
"use strict";
document.addEventListener("click", function (event) {
  const link = event.target.closest("a.change");
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) {
    return;
  }
  event.preventDefault();
  const form = document.createElement("form");
  form.method = "post";
  form.action = link.pathname;
  new URLSearchParams(link.search).forEach(function (value, name) {
    const field = document.createElement("input");
    field.type = "hidden";
    field.name = name;
    field.value = value;
    form.append(field);
  });
  document.body.append(form);
  form.submit();
});
