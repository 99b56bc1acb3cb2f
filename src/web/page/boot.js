// Runs before anything is painted: the table of the server and its sheet give way to the live page, in the theme chosen.
{
	const root = document.documentElement;
	const [plain, live] = document.querySelectorAll("link[rel=stylesheet]");
	plain.disabled = true;
	live.media = "all";
	root.classList.add("js");
	root.dataset.theme = localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
	// All that follows becomes one text: of a table with thousands of rows, making elements takes longer than everything else.
	document.write('<script src="page/app.js" type="module" async></script><plaintext hidden>');
}
