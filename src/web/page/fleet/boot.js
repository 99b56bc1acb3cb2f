// Runs before anything is painted: the tables of the server give way to the live page, in the theme chosen.
{
	const root = document.documentElement;
	const [plain, ...live] = document.querySelectorAll("link[rel=stylesheet]");
	plain.disabled = true;
	for (const it of live) it.media = "all";
	root.classList.add("js");
	root.dataset.theme = localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
	// All that follows becomes one text: making elements of it takes longer than everything else.
	document.write('<script src="page/fleet.js" type="module" async></script><plaintext hidden>');
}
