// Every visible text whose contrast with what lies behind it is below WCAG 2's 4.5 (3 for large text).
const rgb = (colour) => {
  const numbers = colour.match(/[\d.]+/g).map(Number);
  return colour.startsWith("color(") ? numbers.map((value, k) => (k < 3 ? value * 255 : value)) : numbers;
};
const luminance = (colour) => {
  const [r, g, b] = rgb(colour).map((value) => {
    const share = value / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const colour = getComputedStyle(each).backgroundColor, numbers = rgb(colour);
    if (numbers.length < 4 || numbers[3] > 0.5) return colour;
  }
  return "rgb(255, 255, 255)";
};
const found = new Set();
for (const element of document.querySelectorAll("main *, header *, footer *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !element.offsetParent) continue;
  const style = getComputedStyle(element), ground = behind(element);
  const [low, high] = [luminance(style.color), luminance(ground)].sort((a, b) => a - b);
  const ratio = (high + 0.05) / (low + 0.05);
  if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) {
    found.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}: ${style.color} on ${ground}`);
  }
}
return [...found];
