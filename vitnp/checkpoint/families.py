"""Networks that look like a plain Vision Transformer and are none: told first of all."""

import re

from vitnp.errors import Error

PLAIN = ("read are plain Vision Transformers, such as google/vit-base-patch16-224 or timm's "
         "vit_small_patch16_224.augreg_in1k")
PREFIXES = ("module.", "_orig_mod.", "state_dict.", "model.", "backbone.", "encoder_q.",
            "student.", "teacher.", "trunk.")
STARTS = ("patch_embed.proj.weight", "embeddings.patch_embeddings.projection.weight",
          "vit.embeddings.patch_embeddings.projection.weight", "cls_token", "pos_embed")
SHARD = re.compile(r"-\d+-of-(\d+)\.safetensors$")
# What a tensor's name or transformers' model_type tells, and what the network has that a plain ViT
# has not; the first that fits is said
FAMILIES = (
    (r"conv_proj\.|encoder\.layers\.encoder_layer_0\.", (), "a Vision Transformer with "
     "torchvision's names, which are not read; the same weights are in timm, as "
     "vit_base_patch16_224.tv_in1k, or can be renamed"),
    (r"distillation_token|dist_token|distillation_classifier|head_dist\.", ("deit",),
     "a DeiT with a distillation token, one token more than a plain ViT has; without it are timm's "
     "deit_tiny_patch16_224, deit_small_patch16_224 and deit_base_patch16_224"),
    (r"register_tokens|reg_token", ("dinov2_with_registers", "dinov3_vit"),
     "a Vision Transformer with registers, tokens beside the class token that a plain ViT has not; "
     "DINOv2 without registers is read, such as facebook/dinov2-small"),
    (r"head\.probe|attn_pool\.|logit_bias", ("siglip", "siglip_vision_model", "siglip2"),
     "a SigLIP, whose tokens are pooled by an attention layer of its own"),
    (r"text_model\.|logit_scale|visual\.|vision_model\.|pre_layrnorm|norm_pre\.|ln_pre\.",
     ("clip", "clip_vision_model", "chinese_clip", "altclip"),
     "a CLIP, which has one LayerNorm more before its blocks, and another GELU"),
    (r"decoder_blocks|decoder_embed|decoder\.decoder_|decoder_pred", ("vit_mae",),
     "a masked autoencoder (MAE) with its decoder; its encoder alone is a plain ViT, which "
     "ViTModel.from_pretrained(…).save_pretrained(…) writes, and timm has as "
     "vit_base_patch16_224.mae"),
    (r"layers\.\d+\.(blocks|downsample)\.|swin\.", ("swin", "swinv2", "maskformer-swin"),
     "a Swin Transformer, which attends within windows that move"),
    (r"relative_position_bias|lambda_1|gamma_1|q_bias", ("beit", "data2vec-vision"),
     "a BEiT, whose attention has relative positions"),
    (r"mlp\.weights_in|mlp\.w12|fc1_g\.|mlp\.w3\.", (), "a Vision Transformer with a gated MLP "
     "(SwiGLU), as the largest DINOv2 has"),
    (r"dinov2\..*|classifier_dinov2", ("dinov2-classifier",), "a DINOv2 with a classifier on class "
     "token and mean of the patches, which no head of ours is; its backbone alone is read, "
     "which Dinov2Model.from_pretrained(…).save_pretrained(…) writes"),
    (r"q_norm\.|k_norm\.", (), "a Vision Transformer that normalises queries and keys"),
    (r"rope|rotary", ("eva",), "a Vision Transformer with rotary positions"),
)


def refuse(path, names, said):
    """Raise Error where tensors, or the settings beside them, are those of another network.

    names: of the tensors; said: the dict in config.json.
    """
    for prefix in PREFIXES:
        if any(prefix + start in names for start in STARTS):
            raise Error(f"{path} has the prefix {prefix} before the names of its tensors, as a "
                        "training program saves them; load it with safetensors, take the prefix "
                        "off with {name.removeprefix(" + repr(prefix) + "): tensor …}, and save it "
                        "as another file")
    kind = said.get("model_type")
    for marks, kinds, what in FAMILIES:
        found = re.compile(rf"(?:^|\.)(?:{marks})")
        if (isinstance(kind, str) and kind in kinds) or any(map(found.search, names)):
            raise Error(f"{path} is {what}; {PLAIN}" if "read" not in what
                        else f"{path} is {what}")


def refuse_shard(path):
    """Raise Error for one of the several files of a checkpoint."""
    part = SHARD.search(str(path))
    if part:
        raise Error(f"{path} is one of the {int(part[1])} files of a checkpoint; give the folder "
                    "with all of them and model.safetensors.index.json")
