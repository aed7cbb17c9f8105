// Keeps the graph of a running pipeline up to date; every page works without it.
const graph = document.getElementById("graph");
const live = () => graph?.querySelector("[data-live]")?.dataset.live === "1";

async function refresh() {
  try {
    const answer = await fetch(graph.dataset.source, { cache: "no-cache" });
    if (answer.ok) {
      const text = await answer.text();
      if (text !== graph.lastText) {
        const place = [...graph.querySelectorAll(".scroll")].map((part) => part.scrollLeft);
        const focused = graph.contains(document.activeElement) && document.activeElement.getAttribute("href");
        graph.innerHTML = text;
        graph.lastText = text;
        graph.querySelectorAll(".scroll").forEach((part, index) => { part.scrollLeft = place[index] ?? 0; });
        if (focused) graph.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
      }
    }
  } catch { /* the server is away for a moment: the next round tells */ }
  if (live()) setTimeout(refresh, 1000);
}

if (live()) setTimeout(refresh, 500);
