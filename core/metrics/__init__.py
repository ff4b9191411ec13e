"""One small file a family: edit (S_dir, identity), image (PSNR, SSIM), perceptual (a distance in a network's features), distribution (FID,
KID), diversity (intra-LPIPS, nearest-LPIPS)."""
